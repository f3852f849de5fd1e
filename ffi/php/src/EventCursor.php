<?php

declare(strict_types=1);

namespace Stockade;

use Stockade\Exception\StockadeException;

/**
 * Iterates over the events after a cursor, read page by page, to the end.
 *
 * Another loop over the same object goes on with the events that have come since:
 *
 *     $events = new EventCursor($stockade, $cursor);
 *     foreach ($events as $event) { … }
 *     save($events->position());
 *
 * @implements \IteratorAggregate<int, Event>
 */
final class EventCursor implements \IteratorAggregate
{
    public function __construct(
        private readonly Client $client,
        private int $position = 0,
        private readonly int $page = 1000,
    ) {
    }

    /**
     * @return \Generator<int, Event>
     * @throws StockadeException invalid_argument, unavailable
     */
    public function getIterator(): \Generator
    {
        while (($events = $this->client->eventsAfter($this->position, $this->page)) !== []) {
            foreach ($events as $event) {
                yield $event;
                // Only now: an event whose loop body threw comes again.
                $this->position = $event->cursor;
            }
        }
    }

    /** The cursor of the last event that the loop has dealt with. */
    public function position(): int
    {
        return $this->position;
    }
}
