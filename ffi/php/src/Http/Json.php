<?php

declare(strict_types=1);

namespace Stockade\Http;

use JsonException;
use SensitiveParameter;
use Stockade\Exception\InvalidArgument;

/**
 * Serializes requests and parses responses.
 *
 * @internal
 */
final class Json
{
    private const WRITE = JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES;

    /**
     * Serializes a request. Fields that are null are left out; an empty array is a list.
     *
     * @throws InvalidArgument for a text that is not UTF-8
     */
    public static function encode(#[SensitiveParameter] mixed $value): string
    {
        try {
            return self::write($value);
        } catch (JsonException) {
            throw InvalidArgument::because('a text of the request must be UTF-8');
        }
    }

    /**
     * Parses a response. Numbers beyond 64 bits stay texts.
     *
     * @throws JsonException
     */
    public static function decode(#[SensitiveParameter] string $text): mixed
    {
        return json_decode($text, true, 512, JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING);
    }

    private static function write(#[SensitiveParameter] mixed $value): string
    {
        if ($value instanceof RawJson) {
            return $value->text;
        }
        if (!is_array($value)) {
            return json_encode($value, self::WRITE);
        }
        $parts = [];
        if (array_is_list($value)) {
            foreach ($value as $part) {
                $parts[] = self::write($part);
            }
            return '[' . implode(',', $parts) . ']';
        }
        foreach ($value as $name => $part) {
            if ($part !== null) {
                // Names are the driver's own, and have nothing to escape.
                $parts[] = "\"{$name}\":" . self::write($part);
            }
        }
        return '{' . implode(',', $parts) . '}';
    }
}
