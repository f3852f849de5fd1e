<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

use Stockade\Event;

/**
 * An event of the outbox as Laravel dispatches it, one class for each kind. A listener of
 * this interface gets all of them.
 */
interface StockadeEvent
{
    public function event(): Event;
}
