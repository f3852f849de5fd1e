<?php

declare(strict_types=1);

namespace Stockade\Http;

use JsonException;
use SensitiveParameter;
use Stockade\Exception\InvalidArgument;
use Stockade\Input\Arguments;

/**
 * Converts arguments to the form in which a running engine reads them, and rejects
 * those that it could not read, as the library does.
 *
 * @internal
 */
final class Wire
{
    private const METADATA_BYTES_MAX = 4096;
    /** What the engine's parser reads. */
    private const DEPTH_MAX = 127;
    /** The most decimals of an amount, whatever its currency. */
    private const DECIMALS_MAX = 4;
    /** The most characters of a value that a message shows. */
    private const SHOWN = 40;

    /** An id or another number of 64 bits without sign. */
    public static function id(int $id): int|RawJson
    {
        return $id >= 0 ? $id : new RawJson(sprintf('%u', $id));
    }

    /** A number of which 0 means none. */
    public static function optionalId(int $id): int|RawJson|null
    {
        return $id === 0 ? null : self::id($id);
    }

    /** A product: its id, or its SKU. */
    public static function product(string $what, int|string|float|bool $product): int|string|RawJson
    {
        [$id, $sku] = Arguments::product($what, $product);
        return $sku === null ? self::id($id) : self::text('sku', $sku);
    }

    /**
     * A duration.
     *
     * @return ?array{secs: int, nanos: int}
     */
    public static function duration(int|float|string|bool|null $ttl, string $what = 'ttl'): ?array
    {
        $micros = Arguments::ttl($ttl, $what);
        if ($micros === null) {
            return null;
        }
        return ['secs' => intdiv($micros, 1_000_000), 'nanos' => $micros % 1_000_000 * 1_000];
    }

    /** A moment; null for none. */
    public static function moment(string $what, mixed $moment): ?string
    {
        $micros = Arguments::moment($what, $moment);
        if ($micros === 0) {
            return null;
        }
        return gmdate('Y-m-d\TH:i:s', intdiv($micros, 1_000_000)) . sprintf('.%06dZ', $micros % 1_000_000);
    }

    /** A text; null for none. */
    public static function text(string $what, #[SensitiveParameter] ?string $text): ?string
    {
        if ($text !== null && preg_match('//u', Arguments::text($what, $text)) !== 1) {
            throw InvalidArgument::because("{$what} must be UTF-8");
        }
        return $text;
    }

    /** An exact amount. */
    public static function money(string $what, int|string|float|bool|null $amount): ?string
    {
        if ($amount === null) {
            return null;
        }
        $text = Arguments::decimal($what, $amount);
        $isDecimal = preg_match('/^(\d+)(?:\.(\d+))?$/D', $text, $found) === 1;
        [$major, $places] = $isDecimal ? [ltrim($found[1], '0'), rtrim($found[2] ?? '', '0')] : ['', ''];
        $isLarge = strlen($major) > 19 || (strlen($major) === 19 && strcmp($major, (string) PHP_INT_MAX) > 0);
        if (!$isDecimal || $isLarge || strlen($places) > self::DECIMALS_MAX) {
            $must = 'expected a decimal of at least 0 with at most ' . self::DECIMALS_MAX
                . ' places, in digits such as 19.99';
            throw self::invalid($what, $must, $text);
        }
        return $text;
    }

    public static function currency(?string $code): ?string
    {
        if ($code !== null && Currency::decimals($code) === null) {
            throw self::invalid('currency', 'a currency is an ISO 4217 code such as EUR', $code);
        }
        return $code;
    }

    /** The token of a hold or a cart. */
    public static function token(#[SensitiveParameter] ?string $token): ?string
    {
        if ($token !== null && preg_match('/^[0-9a-f]{32}$/D', $token) !== 1) {
            throw InvalidArgument::because('a token is 32 hexadecimal digits');
        }
        return $token;
    }

    public static function paymentToken(#[SensitiveParameter] ?string $token): ?string
    {
        $isToken = $token === null || (preg_match('/^pt_([1-9]\d{0,18})_[0-9a-f]{32}$/D', $token, $found) === 1
            && (string) (int) $found[1] === $found[1]);
        if (!$isToken) {
            throw InvalidArgument::because('no order can ever have this payment_token');
        }
        return $token;
    }

    /**
     * What the shop keeps, with the text of its JSON as it is.
     *
     * @param array<string, mixed>|string|null $metadata
     */
    public static function metadata(array|string|null $metadata): ?RawJson
    {
        $text = Arguments::metadata($metadata);
        if ($text === null) {
            return null;
        }
        $text = trim((string) self::text('metadata', $text), " \t\n\r");
        if (strlen($text) > self::METADATA_BYTES_MAX) {
            $most = self::METADATA_BYTES_MAX;
            $got = strlen($text);
            throw InvalidArgument::because("metadata: metadata has at most {$most} bytes, got {$got}");
        }
        try {
            // The text becomes a part of the request, so it must be one whole value.
            json_decode($text, true, self::DEPTH_MAX, JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING);
        } catch (JsonException $error) {
            $why = $error->getMessage();
            throw InvalidArgument::because("metadata: metadata must be a JSON object: {$why}");
        }
        if ($text[0] !== '{') {
            throw InvalidArgument::because('metadata: metadata must be a JSON object');
        }
        return new RawJson($text);
    }

    private static function invalid(string $what, string $must, string $got): InvalidArgument
    {
        preg_match('/^.{0,' . self::SHOWN . '}/su', $got, $start);
        $shown = addcslashes($start[0] ?? '', "\0..\37\177");
        return InvalidArgument::because("{$what}: {$must}, got `{$shown}`");
    }
}
