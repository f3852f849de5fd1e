<?php

declare(strict_types=1);

namespace Stockade\Exception;

use RuntimeException;
use Stockade\ShortLine;

/**
 * Why a call failed. Each code has its own class.
 */
abstract class StockadeException extends RuntimeException
{
    /** The stable name of the code, such as "not_found". */
    public readonly string $error;

    /**
     * @param int $code the stable number of the code
     * @param ?int $available units available to hold, if exactly one line is short
     * @param list<ShortLine> $short every short line of insufficient_stock
     * @param ?int $orderId the order that used the hold
     * @param bool $replayed whether this error replays that of an earlier call with the same key
     * @param ?float $retryAfter seconds to wait before a retry; null if a retry is pointless
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
     * Returns the class of a code's number.
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
