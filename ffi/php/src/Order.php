<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * An order: holds with one payment.
 */
final class Order
{
    /**
     * @param int $id the order's id
     * @param ?int $holdId the hold of an order of one line
     * @param ?int $productId the product of an order of one line
     * @param ?int $quantity units of an order of one line
     * @param OrderStatus $status its status
     * @param string $paymentToken the token by which the payment provider names this order; '' but
     *     in the answer that makes it
     * @param PaymentDisposition $paymentDisposition what became of money that did not simply pay it
     * @param DateTimeImmutable $createdAt when it was created; UTC
     * @param DateTimeImmutable $updatedAt when it last changed; UTC
     * @param list<OrderLine> $lines at least one, in the order of the request's holds
     * @param string $amount the exact amount to pay, such as "59.97", frozen when the order was created
     * @param int $amountMinor the amount in minor units of the currency
     * @param string $currency the currency of the amount and of the lines' prices, such as "EUR"
     * @param string $refundedAmount how much of the amount was refunded
     * @param int $refundedMinor the refunded amount in minor units
     * @param ?DateTimeImmutable $payUntil when it is cancelled if it is not paid before; UTC; null for never
     * @param ?string $reference the shop's own number of the order
     * @param bool $replayed whether this replays the first response of the idempotency key
     * @param ?string $customer the customer of its holds
     * @param ?array<string, mixed> $metadata what the shop keeps with it
     * @param ?string $createdBy who made it: the name of {@see Client::actingAs()}, over HTTP that of the API key
     */
    public function __construct(
        public readonly int $id,
        public readonly ?int $holdId,
        public readonly ?int $productId,
        public readonly ?int $quantity,
        public readonly OrderStatus $status,
        public readonly string $paymentToken,
        public readonly PaymentDisposition $paymentDisposition,
        public readonly DateTimeImmutable $createdAt,
        public readonly DateTimeImmutable $updatedAt,
        public readonly array $lines,
        public readonly string $amount,
        public readonly int $amountMinor,
        public readonly string $currency,
        public readonly string $refundedAmount,
        public readonly int $refundedMinor,
        public readonly ?DateTimeImmutable $payUntil,
        public readonly ?string $reference,
        public readonly bool $replayed,
        public readonly ?string $customer = null,
        public readonly ?array $metadata = null,
        public readonly ?string $createdBy = null,
    ) {
    }
}
