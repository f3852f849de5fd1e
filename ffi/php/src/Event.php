<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * One event of the transactional outbox: a committed state transition.
 */
final class Event
{
    /**
     * @param int $cursor the event's position, strictly increasing; pass the last one to read on
     * @param EventKind $kind the kind of the event
     * @param int $productId the product
     * @param ?int $holdId the hold, if any
     * @param ?int $orderId the order, if any
     * @param int $quantity units; negative for a write-off
     * @param int $version the product's version after the transaction
     * @param DateTimeImmutable $at when it was committed; UTC
     */
    public function __construct(
        public readonly int $cursor,
        public readonly EventKind $kind,
        public readonly int $productId,
        public readonly ?int $holdId,
        public readonly ?int $orderId,
        public readonly int $quantity,
        public readonly int $version,
        public readonly DateTimeImmutable $at,
    ) {
    }
}
