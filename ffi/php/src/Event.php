<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * One transition, as a reader of the outbox sees it.
 */
final class Event
{
    /**
     * @param int $cursor grows from event to event; pass it on to read on
     * @param EventKind $kind what happened
     * @param int $productId the product it happened to
     * @param ?int $holdId the hold concerned
     * @param ?int $orderId the order concerned
     * @param int $qty units concerned; negative where goods were written off
     * @param int $version the product's version after it
     * @param DateTimeImmutable $at when it happened; UTC
     */
    public function __construct(
        public readonly int $cursor,
        public readonly EventKind $kind,
        public readonly int $productId,
        public readonly ?int $holdId,
        public readonly ?int $orderId,
        public readonly int $qty,
        public readonly int $version,
        public readonly DateTimeImmutable $at,
    ) {
    }
}
