<?php

declare(strict_types=1);

namespace Stockade\Exception;

use RuntimeException;
use Stockade\ShortLine;

/**
 * Why a call did not do what was asked. Each code has a class of its own.
 */
abstract class StockadeException extends RuntimeException
{
    /** The stable word of the code, such as "not_found". */
    public readonly string $error;

    /**
     * @param int $code the stable number of the code
     * @param ?int $available units that could have been held, for one short line
     * @param list<ShortLine> $short every short line of insufficient_stock
     * @param ?int $orderId the order that used the hold up
     * @param bool $replayed whether this refusal was remembered under an idempotency key
     * @param ?float $retryAfter seconds after which trying again makes sense; null for never
     */
    final public function __construct(
        string $error,
        int $code,
        string $message,
        public readonly ?int $available = null,
        public readonly array $short = [],
        public readonly ?int $orderId = null,
        public readonly bool $replayed = false,
        public readonly ?float $retryAfter = null,
    ) {
        parent::__construct($message, $code);
        $this->error = $error;
    }

    /**
     * The class for a code's number.
     *
     * @return class-string<StockadeException>
     */
    public static function classFor(int $code): string
    {
        return self::CLASSES[$code] ?? Internal::class;
    }

    private const CLASSES = [
        1 => InvalidArgument::class,
        2 => QuantityLimit::class,
        3 => NotFound::class,
        4 => ProductMismatch::class,
        5 => InsufficientStock::class,
        6 => HoldExpired::class,
        7 => HoldAlreadyUsed::class,
        8 => IdempotencyMismatch::class,
        9 => Contention::class,
        10 => Unavailable::class,
        11 => Unauthorized::class,
        12 => Misuse::class,
        13 => Internal::class,
        14 => VersionMismatch::class,
    ];
}
