<?php

declare(strict_types=1);

namespace Stockade;

/**
 * How a payment event was taken: its order knows of it, or it waits for its order.
 */
enum PaymentAnswer: string
{
    case Recorded = 'recorded';
    case Waiting = 'waiting';
}
