<?php

declare(strict_types=1);

namespace Stockade\Native;

use DateTimeImmutable;
use FFI;
use FFI\CData;
use FFI\CType;
use SensitiveParameter;
use Stockade\Exception\StockadeException;
use Stockade\Input\Arguments;
use Stockade\OffSale;
use Stockade\ShortLine;
use Stockade\UnusableHold;

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
    /** @var list<CData> texts and arrays that structs of the call point to */
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

    /** Names the product of a struct, by its id or by its SKU. */
    public function product(
        CData $struct,
        string $what,
        int|string|float|bool $product,
        string $skuField = 'sku',
    ): void {
        [$id, $sku] = Arguments::product($what, $product);
        $struct->product_id = $id;
        $struct->$skuField = $this->text('sku', $sku);
    }

    /** The number of a value of one of the library's enums; 0 for null. */
    public function constant(string $enum, ?string $word): int
    {
        return $word === null ? 0 : $this->ffi->{strtoupper("stockade_{$enum}_{$word}")};
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

    /** Allocates an array that a struct points to; lives as long as the call. */
    public function array(string $type, int $count): CData
    {
        // C has no arrays of zero elements.
        $array = $this->ffi->new($type . '[' . max(1, $count) . ']');
        $this->texts[] = $array;
        return $array;
    }

    /**
     * Makes a call of the engine.
     *
     * @param list<CData|int|null> $arguments between the engine and the last out-pointers
     */
    public function ask(string $function, array $arguments, bool $isKeyed): void
    {
        if ($isKeyed) {
            $arguments[] = $this->replayedOut();
        }
        $arguments[] = $this->errorOut;
        $this->check($this->ffi->{"stockade_engine_{$function}"}($this->engine, ...$arguments));
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
            $productId = $ffi->stockade_error_product_id($error, $place) ? $number->cdata : null;
            [$offSale, $moment] = $this->offSale();
            $retry = $ffi->stockade_error_retry_after_ms($error);
            return new $class(
                $ffi->stockade_code_name($code) ?? 'internal',
                $code,
                $ffi->stockade_error_message($error),
                $available,
                $this->short(),
                $orderId,
                $ffi->stockade_error_replayed($error),
                $retry === 0 ? null : (float) ($retry / 1000),
                $this->unusableHolds(),
                $productId,
                $offSale,
                $moment
            );
        } finally {
            $ffi->stockade_error_free($error);
        }
    }

    /** @return array{?OffSale, ?DateTimeImmutable} */
    private function offSale(): array
    {
        [$why, $moment] = [$this->make('stockade_off_sale'), $this->make('int64_t')];
        if (!$this->ffi->stockade_error_off_sale($this->error, FFI::addr($why), FFI::addr($moment))) {
            return [null, null];
        }
        $offSale = match ($why->cdata) {
            1 => OffSale::Before,
            2 => OffSale::Since,
            3 => OffSale::Archived,
            default => null,
        };
        return [$offSale, Reader::moment($moment->cdata)];
    }

    /** @return list<UnusableHold> */
    private function unusableHolds(): array
    {
        $holds = [];
        $hold = $this->struct('stockade_unusable_hold');
        $count = $this->ffi->stockade_error_hold_count($this->error);
        for ($index = 0; $index < $count; $index++) {
            $this->ffi->stockade_error_hold($this->error, $index, FFI::addr($hold));
            $orderId = $hold->order_id === 0 ? null : $hold->order_id;
            $code = $this->ffi->stockade_code_name($hold->code) ?? 'internal';
            $holds[] = new UnusableHold($hold->hold_id, $code, $orderId);
        }
        return $holds;
    }

    /** @return list<ShortLine> */
    private function short(): array
    {
        $lines = [];
        $line = $this->struct('stockade_short_line');
        $count = $this->ffi->stockade_error_short_count($this->error);
        for ($index = 0; $index < $count; $index++) {
            $this->ffi->stockade_error_short_line($this->error, $index, FFI::addr($line));
            $sku = Reader::given($line->sku);
            $lines[] = new ShortLine($line->product_id, $line->requested, $line->available, $sku);
        }
        return $lines;
    }
}
