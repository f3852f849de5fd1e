<?php

declare(strict_types=1);

namespace Stockade;

/**
 * The answer to a payment event.
 */
final class PaymentReceipt
{
    /**
     * @param PaymentStatus $status whether it was applied or waits for its order
     * @param bool $replayed whether this replays the first response of its key
     */
    public function __construct(
        public readonly PaymentStatus $status,
        public readonly bool $replayed,
    ) {
    }
}
