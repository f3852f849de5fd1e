<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

use Stockade\Event;

/** What all classes of events have. */
abstract class Message implements StockadeEvent
{
    /** @param Event $event with product, order, quantity and the rest; its $cursor tells a repetition */
    final public function __construct(public readonly Event $event)
    {
    }

    final public function event(): Event
    {
        return $this->event;
    }
}
