<?php

declare(strict_types=1);

namespace Stockade\Input;

use BackedEnum;
use DateInterval;
use DateTimeImmutable;
use JsonException;
use SensitiveParameter;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\StockadeException;
use Stockade\Hold;
use Stockade\HoldRequest;

/**
 * Validates the arguments of calls, for all drivers. Each error names its argument.
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
    /** The most lines of a cart, and requests of a batch. */
    private const LINES_MAX = 65_536;
    /** What begins the name of a product by its SKU. */
    private const SKU = 'sku:';

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

    /**
     * An id: a number, or the text of one, however large. One beyond PHP_INT_MAX is the
     * negative number with the same 64 bits; one beyond 64 bits is -1. No row has those.
     */
    public static function id(string $what, int|string|float|bool $id): int
    {
        if (is_int($id) && $id >= 0) {
            return $id;
        }
        if (!is_string($id) || !ctype_digit($id)) {
            throw self::refused("{$what} must be a whole number", $id);
        }
        return self::unsigned($id);
    }

    /** Digits as a number of 64 bits; too large a one is -1, which has all bits set. */
    private static function unsigned(string $digits): int
    {
        $digits = ltrim($digits, '0');
        $isWithin = static fn (string $most): bool => strlen($digits) < strlen($most)
            || (strlen($digits) === strlen($most) && strcmp($digits, $most) <= 0);
        if ($isWithin((string) PHP_INT_MAX)) {
            return (int) $digits;
        }
        if (!$isWithin('18446744073709551615')) {
            return -1;
        }
        // Subtracts 2^63 in two parts. No sum on the way is beyond an int: one of the high part's
        // units is counted with the low part.
        $high = (int) substr($digits, 0, -9) - 9_223_372_037;
        $low = (int) substr($digits, -9) + 145_224_192;
        return $high * 1_000_000_000 + $low + PHP_INT_MIN;
    }

    /** A quantity: a number, or request text. */
    public static function quantity(int|string|float|bool $quantity): int
    {
        $number = is_string($quantity) && ctype_digit($quantity) ? self::unsigned($quantity) : $quantity;
        if (!is_int($number) || $number < 1 || $number > self::UINT32_MAX) {
            throw self::refused('quantity must be a whole number from 1 to ' . self::UINT32_MAX, $quantity);
        }
        return $number;
    }

    /**
     * A product: its id, or "sku:" and its SKU.
     *
     * @return array{int, ?string} the id or 0, and the SKU
     */
    public static function product(string $what, int|string|float|bool $product): array
    {
        if (is_string($product) && str_starts_with($product, self::SKU)) {
            return [0, substr($product, strlen(self::SKU))];
        }
        return [self::id($what, $product), null];
    }

    /**
     * What a shop keeps, as the text of a JSON object.
     *
     * @param array<string, mixed>|string|null $metadata
     */
    public static function metadata(array|string|null $metadata): ?string
    {
        if (!is_array($metadata)) {
            return $metadata;
        }
        $flags = JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION;
        try {
            return json_encode($metadata === [] ? (object) [] : $metadata, $flags);
        } catch (JsonException $error) {
            throw InvalidArgument::because("metadata must be what JSON can tell: {$error->getMessage()}");
        }
    }

    /** A moment in microseconds since 1970 in UTC; 0 for null. */
    public static function moment(string $what, mixed $moment): int
    {
        if ($moment === null) {
            return 0;
        }
        $must = "{$what} must be a DateTimeInterface or a text such as 2026-11-27T08:00:00Z";
        return Moment::micros($moment) ?? throw self::refused($must, $moment);
    }

    /**
     * A value of an enum, or its word.
     *
     * @param class-string<BackedEnum> $enum
     */
    public static function word(string $what, BackedEnum|string|null $value, string $enum): ?string
    {
        $word = $value instanceof BackedEnum ? (string) $value->value : $value;
        if ($word !== null && $enum::tryFrom($word) === null) {
            $words = implode(', ', array_column($enum::cases(), 'value'));
            throw self::refused("{$what} must be one of {$words}", $word);
        }
        return $word;
    }

    /** A text of an array of changes. */
    public static function string(string $what, mixed $value): string
    {
        return is_string($value) ? $value : throw self::refused("{$what} must be a text", $value);
    }

    /** A number of an array of changes, or the text of one. */
    public static function scalar(string $what, mixed $value): int|string|float|bool
    {
        return is_scalar($value) ? $value : throw self::refused("{$what} must be a number or its text", $value);
    }

    /** A flag of an array of changes. */
    public static function flag(string $what, mixed $value): bool
    {
        return is_bool($value) ? $value : throw self::refused("{$what} must be true or false", $value);
    }

    /**
     * The requests of a batch.
     *
     * @template T of object
     * @param iterable<mixed> $requests
     * @param class-string<T> $class
     * @return list<T>
     */
    public static function requests(iterable $requests, string $class): array
    {
        $read = [];
        foreach ($requests as $request) {
            $at = count($read);
            if ($at >= self::LINES_MAX) {
                throw InvalidArgument::because('requests must be at most ' . self::LINES_MAX);
            }
            if (!$request instanceof $class) {
                $short = substr((string) strrchr($class, '\\'), 1);
                throw self::refused("requests[{$at}] must be a {$short}", $request);
            }
            $read[] = $request;
        }
        return $read;
    }

    /** Converts a ttl from seconds to microseconds; null for the default. */
    public static function ttl(int|float|string|bool|null $ttl, string $name = 'ttl'): ?int
    {
        if ($ttl === null) {
            return null;
        }
        $seconds = is_string($ttl) && preg_match('/^\d{1,12}(\.\d{1,6})?$/D', $ttl) === 1 ? (float) $ttl : $ttl;
        if (is_string($seconds) || is_bool($seconds) || !($seconds >= 0 && $seconds <= self::TTL_SECONDS_MAX)) {
            throw self::refused("{$name} must be seconds, greater than 0 and within the maximum", $ttl);
        }
        return (int) round($seconds * 1e6);
    }

    /** The microseconds of an interval that begins at this moment. */
    public static function interval(string $what, DateInterval $interval, DateTimeImmutable $from): int
    {
        [$begin, $end] = [Moment::micros($from), Moment::micros($from->add($interval))];
        if ($begin === null || $end === null || $end < $begin) {
            throw InvalidArgument::because("{$what} must be an interval of at least 0 that ends before the year 10000");
        }
        return $end - $begin;
    }

    /**
     * The lines of a cart.
     *
     * @param iterable<mixed> $lines
     * @return list<array{array{int, ?string}, int, bool}>
     */
    public static function lines(iterable $lines): array
    {
        $read = [];
        foreach ($lines as $line) {
            $at = count($read);
            if ($at >= self::LINES_MAX) {
                throw InvalidArgument::because('lines must be at most ' . self::LINES_MAX);
            }
            if (!is_array($line) || !array_is_list($line) || count($line) < 2 || count($line) > 3) {
                throw self::refused("lines[{$at}] must be a list of a product's id and a quantity", $line);
            }
            $atMost = $line[2] ?? false;
            if (!is_bool($atMost)) {
                throw self::refused("lines[{$at}][2] must be true or false", $atMost);
            }
            foreach ($line as $number) {
                if (!is_scalar($number)) {
                    throw self::refused("lines[{$at}] must be a list of a product's id and a quantity", $number);
                }
            }
            $read[] = [self::product('product_id', $line[0]), self::quantity($line[1]), $atMost];
        }
        return $read;
    }

    /**
     * The requests of a batch. The error of one that is invalid stands in its place.
     *
     * @param iterable<mixed> $requests
     * @return list<array{array{int, ?string}, int, ?int, ?string, ?string, bool, ?string}|StockadeException>
     */
    public static function holdRequests(iterable $requests): array
    {
        $read = [];
        foreach (self::requests($requests, HoldRequest::class) as $request) {
            try {
                $metadata = self::metadata($request->metadata);
                $read[] = [
                    self::product('product_id', $request->productId),
                    self::quantity($request->quantity),
                    self::ttl($request->ttl),
                    $request->key === null ? null : self::text('key', $request->key),
                    $request->customer === null ? null : self::text('customer', $request->customer),
                    $request->atMost,
                    $metadata === null ? null : self::text('metadata', $metadata),
                ];
            } catch (StockadeException $error) {
                $read[] = $error;
            }
        }
        return $read;
    }

    /** An exact price or amount as text; floats are rejected as inexact. */
    public static function decimal(string $what, int|string|float|bool $decimal): string
    {
        if (!is_string($decimal) && !is_int($decimal)) {
            throw self::refused("{$what} must be a text such as \"19.99\" or a whole number", $decimal);
        }
        return (string) $decimal;
    }

    /** An exact amount as text; null for none. */
    public static function amount(int|string|float|bool|null $amount): ?string
    {
        return $amount === null ? null : self::decimal('amount', $amount);
    }

    /**
     * The holds of an order: id, product or 0, and token of each.
     *
     * @param iterable<mixed> $holds
     * @return list<array{int, int, ?string}>
     */
    public static function orderedHolds(#[SensitiveParameter] iterable $holds): array
    {
        $read = [];
        foreach ($holds as $hold) {
            $at = count($read);
            if ($at >= self::LINES_MAX) {
                throw InvalidArgument::because('holds must be at most ' . self::LINES_MAX);
            }
            if ($hold instanceof Hold) {
                // A hold that was read has none.
                $read[] = [$hold->id, $hold->productId, $hold->token === '' ? null : $hold->token];
                continue;
            }
            [$id, $token] = is_array($hold) && array_is_list($hold) && count($hold) === 2 ? $hold : [$hold, null];
            if (!is_scalar($id) || !($token === null || is_string($token))) {
                throw self::refused("holds[{$at}] must be a Hold, an id, or a list of id and token", $hold);
            }
            $read[] = [self::id('hold_id', $id), 0, $token];
        }
        return $read;
    }

    /**
     * Units of an order's lines. No lines at all mean all that is left, which an empty
     * list hardly means: it is rejected.
     *
     * @param iterable<mixed> $lines
     * @return non-empty-list<array{int, int}>
     */
    public static function units(iterable $lines): array
    {
        $read = [];
        foreach ($lines as $units) {
            $at = count($read);
            if ($at >= self::LINES_MAX) {
                throw InvalidArgument::because('lines must be at most ' . self::LINES_MAX);
            }
            $must = "lines[{$at}] must be a list of a line's number and a quantity";
            if (!is_array($units) || !array_is_list($units) || count($units) !== 2) {
                throw self::refused($must, $units);
            }
            [$line, $quantity] = $units;
            if (!is_scalar($line) || !is_scalar($quantity)) {
                throw self::refused($must, $units);
            }
            $read[] = [self::whole('line', $line, 0, self::UINT32_MAX), self::quantity($quantity)];
        }
        if ($read === []) {
            throw InvalidArgument::because('lines is empty; leave it out for all that is left');
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
