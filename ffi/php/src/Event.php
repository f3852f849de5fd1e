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
     * @param ?string $reason the reason that was given for an adjustment of stock, a cancelled order or a refund
     * @param ?array<string, mixed> $metadata that of what the event is about: after an event about the product
     *     itself the product's, else the order's or the hold's when the event is read
     * @param ?string $actor who asked for the transition: the name of {@see Client::actingAs()}, over HTTP that of
     *     the API key; null for what nobody asked for, such as an expiry
     * @param ?string $reference the shop's own number of the order
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
        public readonly ?string $actor = null,
        public readonly ?string $reference = null,
    ) {
    }
}
