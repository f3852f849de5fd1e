<?php

declare(strict_types=1);

namespace Stockade\Exception;

use DateTimeImmutable;
use RuntimeException;
use Stockade\OffSale;
use Stockade\ShortLine;
use Stockade\UnusableHold;

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
     * @param ?int $orderId the order that used the hold, or that has the reference
     * @param bool $replayed whether this error replays that of an earlier call with the same key
     * @param ?float $retryAfter seconds to wait before a retry; null if a retry is pointless
     * @param list<UnusableHold> $holds every hold that cannot be used, of a request that names several
     * @param ?int $productId the product that has the id or the SKU, or that is not for sale
     * @param ?OffSale $offSale why a product is not for sale
     * @param ?DateTimeImmutable $moment when the product begins to be sold, or ended to be; UTC
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
        public readonly array $holds = [],
        public readonly ?int $productId = null,
        public readonly ?OffSale $offSale = null,
        public readonly ?DateTimeImmutable $moment = null,
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

    /**
     * Makes the exception of a code's name, with the details of the constructor. A name
     * that this version does not know is handled as a fault of the server.
     */
    public static function named(string $error, string $message, mixed ...$details): self
    {
        $code = array_search($error, self::NAMES, true);
        [$code, $error] = is_int($code) ? [$code, $error] : [13, 'internal'];
        return new (self::classFor($code))($error, $code, $message, ...$details);
    }

    private const NAMES = [
        1 => 'invalid_argument',
        2 => 'quantity_limit',
        3 => 'not_found',
        4 => 'product_mismatch',
        5 => 'insufficient_stock',
        6 => 'hold_expired',
        7 => 'hold_already_used',
        8 => 'idempotency_mismatch',
        9 => 'contention',
        10 => 'unavailable',
        11 => 'unauthorized',
        12 => 'misuse',
        13 => 'internal',
        14 => 'version_mismatch',
        15 => 'already_exists',
        16 => 'not_on_sale',
        17 => 'already_paid',
        18 => 'order_cancelled',
        19 => 'not_paid',
        20 => 'refund_too_large',
        21 => 'nothing_returned',
    ];

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
        15 => AlreadyExists::class,
        16 => NotOnSale::class,
        17 => AlreadyPaid::class,
        18 => OrderCancelled::class,
        19 => NotPaid::class,
        20 => RefundTooLarge::class,
        21 => NothingReturned::class,
    ];
}
