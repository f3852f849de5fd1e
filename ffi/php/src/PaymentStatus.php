<?php

declare(strict_types=1);

namespace Stockade;

/**
 * How a payment event was processed.
 */
enum PaymentStatus: string
{
    /** The event left its order's status as it was. */
    case Recorded = 'recorded';
    /** The order does not exist yet: the event waits for it. */
    case Waiting = 'waiting';
    /** The event changed its order's status. */
    case Applied = 'applied';
}
