<?php

declare(strict_types=1);

namespace Stockade;

/**
 * How a payment event was processed.
 */
final class Payment
{
    /**
     * @param PaymentAnswer $answer whether it was applied or waits for its order
     * @param bool $replayed whether this replays the first response of its key
     */
    public function __construct(
        public readonly PaymentAnswer $answer,
        public readonly bool $replayed,
    ) {
    }
}
