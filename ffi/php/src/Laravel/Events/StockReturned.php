<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** Units that were held, ordered or refunded can be held again: dispatched after the event that tells why. */
final class StockReturned extends Message
{
}
