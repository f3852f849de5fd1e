<?php

declare(strict_types=1);

namespace Stockade\Native;

use SensitiveParameter;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\StockadeException;
use Stockade\HoldRequest;

/**
 * Validates arguments. Each error names its argument.
 *
 * Without strict_types PHP converts 1.5 and true to 1 for an int
 * parameter, so parameters accept floats and booleans unchanged, and
 * this class rejects them.
 */
final class Arguments
{
    private const UINT32_MAX = 0xFFFFFFFF;
    /** A greater ttl exceeds every maximum. */
    private const TTL_SECONDS_MAX = 1e12;
    /** The most bytes of a value that a message shows. */
    private const SHOWN_BYTES = 40;
    /** The library's limit of cart lines, and of the requests of a batch. */
    private const LINES_MAX = 65_536;

    /** A whole number, or the text of one. */
    public static function whole(
        string $what,
        int|string|float|bool $number,
        int $least = PHP_INT_MIN,
        int $most = PHP_INT_MAX,
    ): int {
        $whole = is_string($number) && (string) (int) $number === $number ? (int) $number : $number;
        if (!is_int($whole) || $whole < $least || $whole > $most) {
            $range = $least === PHP_INT_MIN ? '' : " of at least {$least}";
            $range .= $most === PHP_INT_MAX ? '' : " and at most {$most}";
            throw self::refused("{$what} must be a whole number{$range}", $number);
        }
        return $whole;
    }

    /** A limit; the engine checks its range. */
    public static function limit(int|string|float|bool $limit): int
    {
        return min(self::whole('limit', $limit, 0), self::UINT32_MAX);
    }

    /** An id: a number, or the text of one, however large. */
    public static function id(string $what, int|string|float|bool $id): int
    {
        if (is_int($id) && $id >= 0) {
            return $id;
        }
        if (!is_string($id) || !ctype_digit($id)) {
            throw self::refused("{$what} must be a whole number", $id);
        }
        return (new Call())->number('id', 'uint64_t', $id);
    }

    /** A quantity: a number, or request text. */
    public static function quantity(int|string|float|bool $quantity): int
    {
        if (is_string($quantity) && ctype_digit($quantity)) {
            return (new Call())->number('quantity', 'uint32_t', $quantity);
        }
        if (!is_int($quantity) || $quantity < 1 || $quantity > self::UINT32_MAX) {
            throw self::refused('quantity must be a whole number from 1 to ' . self::UINT32_MAX, $quantity);
        }
        return $quantity;
    }

    /** A price in minor units; floats are rejected as inexact. */
    public static function price(int|string|float|bool $price): int
    {
        if (!is_string($price) && !is_int($price)) {
            throw self::refused('price must be a text such as "19.99" or a whole number', $price);
        }
        return (new Call())->number('price', 'int64_t', self::text('price', (string) $price));
    }

    /** Converts a ttl from seconds to microseconds; null for the default. */
    public static function ttl(int|float|string|bool|null $ttl): ?int
    {
        if ($ttl === null) {
            return null;
        }
        $seconds = is_string($ttl) && preg_match('/^\d{1,12}(\.\d{1,6})?$/D', $ttl) === 1 ? (float) $ttl : $ttl;
        if (is_string($seconds) || is_bool($seconds) || !($seconds >= 0 && $seconds <= self::TTL_SECONDS_MAX)) {
            throw self::refused('ttl must be seconds, greater than 0 and within the maximum', $ttl);
        }
        return (int) round($seconds * 1e6);
    }

    /**
     * The lines of a cart.
     *
     * @param iterable<mixed> $lines
     * @return list<array{int, int}>
     */
    public static function lines(iterable $lines): array
    {
        $read = [];
        foreach ($lines as $line) {
            $at = count($read);
            if ($at >= self::LINES_MAX) {
                throw InvalidArgument::because('lines must be at most ' . self::LINES_MAX);
            }
            if (!is_array($line) || !array_is_list($line) || count($line) !== 2) {
                throw self::refused("lines[{$at}] must be a list of a product's id and a quantity", $line);
            }
            foreach ($line as $number) {
                if (!is_scalar($number)) {
                    throw self::refused("lines[{$at}] must be a list of a product's id and a quantity", $number);
                }
            }
            $read[] = [self::id('product_id', $line[0]), self::quantity($line[1])];
        }
        return $read;
    }

    /**
     * The requests of a batch. The error of one that is invalid stands in its place.
     *
     * @param iterable<mixed> $requests
     * @return list<array{int, int, ?int, ?string, ?string}|StockadeException>
     */
    public static function holdRequests(iterable $requests): array
    {
        $read = [];
        foreach ($requests as $request) {
            $at = count($read);
            if ($at >= self::LINES_MAX) {
                throw InvalidArgument::because('requests must be at most ' . self::LINES_MAX);
            }
            if (!$request instanceof HoldRequest) {
                throw self::refused("requests[{$at}] must be a HoldRequest", $request);
            }
            try {
                $read[] = [
                    self::id('product_id', $request->productId),
                    self::quantity($request->quantity),
                    self::ttl($request->ttl),
                    $request->key === null ? null : self::text('key', $request->key),
                    $request->customer === null ? null : self::text('customer', $request->customer),
                ];
            } catch (StockadeException $error) {
                $read[] = $error;
            }
        }
        return $read;
    }

    /** A text without NUL, at which C would truncate it. */
    public static function text(string $what, #[SensitiveParameter] string $text): string
    {
        if (str_contains($text, "\0")) {
            throw InvalidArgument::because("{$what} must not have a NUL");
        }
        return $text;
    }

    private static function refused(string $must, mixed $got): InvalidArgument
    {
        $shown = match (true) {
            is_string($got) => '`' . addcslashes(substr($got, 0, self::SHOWN_BYTES), "\0..\37\177") . '`',
            is_bool($got) => $got ? 'true' : 'false',
            // Distinguishes 2.0 from 2.
            is_float($got) => var_export($got, true),
            is_int($got) => (string) $got,
            default => get_debug_type($got),
        };
        return InvalidArgument::because("{$must}, got {$shown}");
    }
}
