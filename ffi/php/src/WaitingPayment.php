<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * A payment event that came before its order and waits for it.
 */
final class WaitingPayment
{
    /**
     * @param string $key its idempotency key; one that was derived begins with U+0001
     * @param ?int $orderId the order that it names, by its id or its payment token; null for one that names it by
     *     a reference alone
     * @param bool $byToken whether it named the order by its payment token
     * @param Outcome $outcome the outcome
     * @param ?string $amount the exact amount paid, if the event said
     * @param ?string $currency the currency of the amount, if the event said
     * @param ?string $paymentReference the provider's own name of the payment, if the event said
     * @param DateTimeImmutable $receivedAt when it arrived; UTC
     * @param DateTimeImmutable $endsAt an order created from this moment on is not affected by it; UTC
     * @param ?string $orderReference the shop's own number of the order, if the event said
     */
    public function __construct(
        public readonly string $key,
        public readonly ?int $orderId,
        public readonly bool $byToken,
        public readonly Outcome $outcome,
        public readonly ?string $amount,
        public readonly ?string $currency,
        public readonly ?string $paymentReference,
        public readonly DateTimeImmutable $receivedAt,
        public readonly DateTimeImmutable $endsAt,
        public readonly ?string $orderReference = null,
    ) {
    }
}
