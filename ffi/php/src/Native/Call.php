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
 * One call of the library, with its own structs, texts and error
 * out-pointer: calls nest, because a signal handler or
 * a destructor run by the cycle collector may make another.
 */
final class Call
{
    /** @var array<string, CType> */
    private static array $types = [];

    public readonly FFI $ffi;
    /** The engine, if the call is one of an engine's. */
    public readonly ?CData $engine;
    /** The address of a `stockade_error *`. */
    public readonly CData $errorOut;
    private readonly CData $error;
    private ?CData $replayed = null;
    private ?Handle $entered = null;
    /** @var list<CData> texts that structs of the call point to */
    private array $texts = [];

    public function __construct(?Handle $handle = null)
    {
        $this->ffi = Library::ffi();
        $this->error = $this->make('stockade_error *');
        $this->errorOut = FFI::addr($this->error);
        $this->engine = $handle?->enter();
        $this->entered = $handle;
    }

    public function __destruct()
    {
        $entered = $this->entered;
        $this->entered = null;
        $entered?->leave();
    }

    /** Throws the exception of a failed call. */
    public function check(int $code): void
    {
        if ($code !== 0) {
            throw $this->exception($code);
        }
    }

    /** Allocates zeroed memory for a value of a C type. */
    public function make(string $type): CData
    {
        return $this->ffi->new(self::$types[$type] ??= $this->ffi->type($type));
    }

    /** Allocates a struct with its size set. */
    public function struct(string $type): CData
    {
        $struct = $this->make($type);
        $struct->struct_size = FFI::sizeof($struct);
        return $struct;
    }

    /** Copies a text for a struct; lives as long as the call. */
    public function text(string $what, #[SensitiveParameter] ?string $text): ?CData
    {
        return $text === null ? null : $this->bytes(Arguments::text($what, $text) . "\0");
    }

    /** Copies bytes for a struct; live as long as the call. */
    public function bytes(#[SensitiveParameter] string $bytes): CData
    {
        $length = strlen($bytes);
        $copy = $this->ffi->new("char[{$length}]");
        FFI::memcpy($copy, $bytes, $length);
        $this->texts[] = $copy;
        return FFI::addr($copy[0]);
    }

    /** The out-pointer that tells whether the response is a replay. */
    public function replayedOut(): CData
    {
        $this->replayed = $this->make('bool');
        return FFI::addr($this->replayed);
    }

    public function replayed(): bool
    {
        return $this->replayed !== null && $this->replayed->cdata;
    }

    /** Parses a number with the library's parser. */
    public function number(string $what, string $type, string $text): int
    {
        $read = $this->make($type);
        $function = "stockade_{$what}_from_text";
        $this->check($this->ffi->$function($text, FFI::addr($read), $this->errorOut));
        return $read->cdata;
    }

    /** Takes the exception of a call that failed with this code. */
    public function exception(int $code): StockadeException
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
