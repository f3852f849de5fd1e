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
     * @param int $productId the product; 0 for an event that concerns none
     * @param ?int $holdId the hold, if any
     * @param ?int $orderId the order, if any
     * @param int $quantity units; negative for a write-off
     * @param int $version the product's version after the transaction
     * @param DateTimeImmutable $at when it was committed; UTC
     * @param ?string $sku the SKU that the product has when the event is read
     * @param ?string $customer the customer of the hold or the order; after an erasure the name in its place
     * @param ?string $reason the reason that was given, such as for an adjustment of stock
     * @param ?array<string, mixed> $metadata the product's metadata after an event about the product itself
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
        public readonly ?string $sku = null,
        public readonly ?string $customer = null,
        public readonly ?string $reason = null,
        public readonly ?array $metadata = null,
    ) {
    }
}
