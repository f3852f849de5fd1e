<?php

declare(strict_types=1);

namespace Stockade\Native;

use DateTimeImmutable;
use DateTimeZone;
use FFI;
use FFI\CData;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\Misuse;
use Stockade\Exception\StockadeException;
use Stockade\ShortLine;

/**
 * The way from PHP to the library and back: structs, texts and errors.
 *
 * Structs are made once and used again by each call, which PHP makes one after
 * the other.
 */
final class Border
{
    /** A life beyond it is over every maximum. */
    private const TTL_SECONDS_MAX = 1e12;
    private const UINT32_MAX = 0xFFFFFFFF;

    public readonly FFI $ffi;
    /** A `stockade_error *` and its address. */
    private CData $error;
    public readonly CData $errorPlace;
    /** @var array<string, CData> */
    private array $structs = [];
    /** @var list<CData> texts of the call under way */
    private array $texts = [];
    private DateTimeZone $utc;

    public function __construct()
    {
        $this->ffi = Library::ffi();
        $this->error = $this->ffi->new('stockade_error *');
        $this->errorPlace = FFI::addr($this->error);
        $this->utc = new DateTimeZone('UTC');
    }

    /** Throws what a call that failed left behind. */
    public function check(int $code): void
    {
        $this->texts = [];
        if ($code !== 0) {
            throw $this->exception($code);
        }
    }

    /** A struct to fill or to be filled; the same one each time. */
    public function struct(string $type): CData
    {
        if (!isset($this->structs[$type])) {
            $struct = $this->ffi->new($type);
            $struct->struct_size = FFI::sizeof($struct);
            $this->structs[$type] = $struct;
        }
        return $this->structs[$type];
    }

    /** A text for a struct, which lives until the call is checked. */
    public function text(?string $text): ?CData
    {
        if ($text === null) {
            return null;
        }
        return $this->bytes(self::whole($text) . "\0");
    }

    /** Bytes for a struct, which live until the call is checked. */
    public function bytes(string $bytes): CData
    {
        $length = strlen($bytes);
        $copy = $this->ffi->new("char[{$length}]");
        FFI::memcpy($copy, $bytes, $length);
        $this->texts[] = $copy;
        return FFI::addr($copy[0]);
    }

    /** An id: a number, or text as a request has it. */
    public function id(int|string $id): int
    {
        return is_int($id) && $id >= 0 ? $id : $this->number('id', 'uint64_t', (string) $id);
    }

    /** A quantity: a number, or text as a request has it. */
    public function quantity(int|string $quantity): int
    {
        return is_int($quantity) && $quantity >= 0 && $quantity <= self::UINT32_MAX
            ? $quantity
            : $this->number('quantity', 'uint32_t', (string) $quantity);
    }

    /** A price in minor units. */
    public function price(string $price): int
    {
        return $this->number('price', 'int64_t', $price);
    }

    /** A limit, which the engine refuses where it makes no sense. */
    public static function limit(int $limit): int
    {
        return max(0, min($limit, self::UINT32_MAX));
    }

    /** C would read a text with a NUL only up to it. */
    public static function whole(string $text): string
    {
        if (str_contains($text, "\0")) {
            throw InvalidArgument::because('a text must not have a NUL');
        }
        return $text;
    }

    /** Fills the life that a request asks for, in seconds. */
    public function fillTtl(CData $request, int|float|null $ttl): void
    {
        if ($ttl !== null && !($ttl >= 0 && $ttl <= self::TTL_SECONDS_MAX)) {
            throw InvalidArgument::because("ttl must be over 0 and within the maximum, got {$ttl}");
        }
        $request->has_ttl = $ttl === null ? 0 : 1;
        $request->ttl_us = (int) round(($ttl ?? 0) * 1e6);
    }

    public function moment(int $micros): DateTimeImmutable
    {
        $seconds = intdiv($micros, 1_000_000);
        $rest = $micros - $seconds * 1_000_000;
        $moment = DateTimeImmutable::createFromFormat(
            'U.u',
            sprintf('%d.%06d', $seconds, $rest),
            $this->utc
        );
        if ($moment === false) {
            throw Misuse::because("{$micros} is no moment");
        }
        return $moment->setTimezone($this->utc);
    }

    /** A number that the library reads from text; texts of the call stay. */
    private function number(string $what, string $type, string $text): int
    {
        $read = $this->ffi->new($type);
        $function = "stockade_{$what}_from_text";
        $code = $this->ffi->$function(self::whole($text), FFI::addr($read), $this->errorPlace);
        if ($code !== 0) {
            throw $this->exception($code);
        }
        return $read->cdata;
    }

    private function exception(int $code): StockadeException
    {
        [$ffi, $error] = [$this->ffi, $this->error];
        $class = StockadeException::classFor($code);
        $number = $ffi->new('uint64_t');
        $place = FFI::addr($number);
        try {
            $available = $ffi->stockade_error_available($error, $place) ? $number->cdata : null;
            $orderId = $ffi->stockade_error_order_id($error, $place) ? $number->cdata : null;
            $retry = $ffi->stockade_error_retry_after_ms($error);
            return new $class(
                $ffi->stockade_code_name($code) ?? 'internal',
                $code,
                $ffi->stockade_error_message($error),
                $available,
                $this->short($error),
                $orderId,
                $ffi->stockade_error_replayed($error),
                $retry === 0 ? null : (float) ($retry / 1000)
            );
        } finally {
            $ffi->stockade_error_free($error);
        }
    }

    /** @return list<ShortLine> */
    private function short(CData $error): array
    {
        $lines = [];
        $line = $this->struct('stockade_short_line');
        $count = $this->ffi->stockade_error_short_count($error);
        for ($index = 0; $index < $count; $index++) {
            $this->ffi->stockade_error_short_line($error, $index, FFI::addr($line));
            $lines[] = new ShortLine($line->product_id, $line->requested, $line->available);
        }
        return $lines;
    }
}
