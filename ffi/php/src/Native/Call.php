<?php

declare(strict_types=1);

namespace Stockade\Native;

use FFI;
use FFI\CData;
use FFI\CType;
use SensitiveParameter;
use Stockade\Exception\StockadeException;
use Stockade\ShortLine;

/**
 * One call of the library, with structs, texts and a place for an error of its
 * own: another call may be made while it is under way, by a signal handler or
 * by a destructor that the cycle collector runs.
 */
final class Call
{
    /** @var array<string, CType> */
    private static array $types = [];

    public readonly FFI $ffi;
    /** The engine, where the call is one of an engine's. */
    public readonly ?CData $engine;
    /** The address of a `stockade_error *`. */
    public readonly CData $errorPlace;
    private readonly CData $error;
    private ?CData $replayed = null;
    private ?Handle $entered = null;
    /** @var list<CData> texts that structs of the call point to */
    private array $texts = [];

    public function __construct(?Handle $handle = null)
    {
        $this->ffi = Library::ffi();
        $this->error = $this->make('stockade_error *');
        $this->errorPlace = FFI::addr($this->error);
        $this->engine = $handle?->enter();
        $this->entered = $handle;
    }

    public function __destruct()
    {
        $entered = $this->entered;
        $this->entered = null;
        $entered?->leave();
    }

    /** Throws what the call left behind if it failed. */
    public function check(int $code): void
    {
        if ($code !== 0) {
            throw $this->exception($code);
        }
    }

    /** Memory for a value of a C type, with zeros in it. */
    public function make(string $type): CData
    {
        return $this->ffi->new(self::$types[$type] ??= $this->ffi->type($type));
    }

    /** A struct to fill or to be filled. */
    public function struct(string $type): CData
    {
        $struct = $this->make($type);
        $struct->struct_size = FFI::sizeof($struct);
        return $struct;
    }

    /** A text for a struct, which lives as long as the call. */
    public function text(string $what, #[SensitiveParameter] ?string $text): ?CData
    {
        return $text === null ? null : $this->bytes(Arguments::text($what, $text) . "\0");
    }

    /** Bytes for a struct, which live as long as the call. */
    public function bytes(#[SensitiveParameter] string $bytes): CData
    {
        $length = strlen($bytes);
        $copy = $this->ffi->new("char[{$length}]");
        FFI::memcpy($copy, $bytes, $length);
        $this->texts[] = $copy;
        return FFI::addr($copy[0]);
    }

    /** Where the library says whether it remembered the answer. */
    public function replayedPlace(): CData
    {
        $this->replayed = $this->make('bool');
        return FFI::addr($this->replayed);
    }

    public function replayed(): bool
    {
        return $this->replayed !== null && $this->replayed->cdata;
    }

    /** A number that the library reads from text. */
    public function number(string $what, string $type, string $text): int
    {
        $read = $this->make($type);
        $function = "stockade_{$what}_from_text";
        $this->check($this->ffi->$function($text, FFI::addr($read), $this->errorPlace));
        return $read->cdata;
    }

    private function exception(int $code): StockadeException
    {
        [$ffi, $error] = [$this->ffi, $this->error];
        $class = StockadeException::classFor($code);
        $number = $this->make('uint64_t');
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
                $this->short(),
                $orderId,
                $ffi->stockade_error_replayed($error),
                $retry === 0 ? null : (float) ($retry / 1000)
            );
        } finally {
            $ffi->stockade_error_free($error);
        }
    }

    /** @return list<ShortLine> */
    private function short(): array
    {
        $lines = [];
        $line = $this->struct('stockade_short_line');
        $count = $this->ffi->stockade_error_short_count($this->error);
        for ($index = 0; $index < $count; $index++) {
            $this->ffi->stockade_error_short_line($this->error, $index, FFI::addr($line));
            $lines[] = new ShortLine($line->product_id, $line->requested, $line->available);
        }
        return $lines;
    }
}
