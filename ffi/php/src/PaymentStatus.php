<?php

declare(strict_types=1);

namespace Stockade;

/**
 * How a payment event was processed: applied to its order, or waiting for it.
 */
enum PaymentStatus: string
{
    case Recorded = 'recorded';
    case Waiting = 'waiting';
}
