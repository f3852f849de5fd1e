<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * A hold that became an order.
 */
final class Order
{
    /**
     * @param int $id the order's id
     * @param int $holdId the hold it was made from
     * @param int $productId the product ordered
     * @param int $qty units ordered
     * @param OrderStatus $status where it stands
     * @param string $paymentToken what the payment provider sends back to name this order
     * @param PaymentDisposition $paymentDisposition what became of late money
     * @param DateTimeImmutable $createdAt when it was made; UTC
     * @param DateTimeImmutable $updatedAt when it last changed; UTC
     * @param bool $replayed whether the answer was remembered under the idempotency key
     */
    public function __construct(
        public readonly int $id,
        public readonly int $holdId,
        public readonly int $productId,
        public readonly int $qty,
        public readonly OrderStatus $status,
        public readonly string $paymentToken,
        public readonly PaymentDisposition $paymentDisposition,
        public readonly DateTimeImmutable $createdAt,
        public readonly DateTimeImmutable $updatedAt,
        public readonly bool $replayed,
    ) {
    }
}
