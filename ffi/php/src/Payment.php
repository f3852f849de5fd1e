<?php

declare(strict_types=1);

namespace Stockade;

/**
 * How a payment event was taken.
 */
final class Payment
{
    /**
     * @param PaymentAnswer $answer whether its order knows of it
     * @param bool $replayed whether the answer was remembered under its key
     */
    public function __construct(
        public readonly PaymentAnswer $answer,
        public readonly bool $replayed,
    ) {
    }
}
