<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * An order, created from a hold.
 */
final class Order
{
    /**
     * @param int $id the order's id
     * @param int $holdId the hold it was created from
     * @param int $productId the product ordered
     * @param int $quantity units ordered
     * @param OrderStatus $status its status
     * @param string $paymentToken the token by which the payment provider names this order
     * @param PaymentDisposition $paymentDisposition how a late payment was handled
     * @param DateTimeImmutable $createdAt when it was created; UTC
     * @param DateTimeImmutable $updatedAt when it last changed; UTC
     * @param bool $replayed whether this replays the first response of the idempotency key
     */
    public function __construct(
        public readonly int $id,
        public readonly int $holdId,
        public readonly int $productId,
        public readonly int $quantity,
        public readonly OrderStatus $status,
        public readonly string $paymentToken,
        public readonly PaymentDisposition $paymentDisposition,
        public readonly DateTimeImmutable $createdAt,
        public readonly DateTimeImmutable $updatedAt,
        public readonly bool $replayed,
    ) {
    }
}
