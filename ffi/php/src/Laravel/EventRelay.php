<?php

declare(strict_types=1);

namespace Stockade\Laravel;

use Illuminate\Contracts\Config\Repository;
use Illuminate\Contracts\Events\Dispatcher;
use Illuminate\Database\ConnectionInterface;
use Illuminate\Database\ConnectionResolverInterface;
use Stockade\Client;
use Stockade\Exception\StockadeException;
use Stockade\Laravel\Events\Events;

/**
 * Dispatches the outbox's events as Laravel's, in their order and at least once.
 *
 * One transaction dispatches a batch and moves the cursor, whose row it locks: two relays
 * never dispatch at once, a relay that dies repeats its batch, and what listeners write to
 * the same database, jobs of a database queue included, commits with the cursor or not
 * at all.
 */
final class EventRelay
{
    private const TABLE = 'stockade_cursors';

    public function __construct(
        private readonly Client $client,
        private readonly Dispatcher $dispatcher,
        private readonly ConnectionResolverInterface $databases,
        private readonly Repository $config,
    ) {
    }

    /**
     * Dispatches the next batch.
     *
     * @return int how many events it had: none at the end, and none while another relay is at it
     * @throws StockadeException unavailable
     */
    public function next(): int
    {
        $this->database()->table(self::TABLE)->insertOrIgnore(['name' => $this->name(), 'position' => 0]);
        return $this->database()->transaction(function (): int {
            // Who finds the row locked has nothing to do, so no queue worker waits.
            $cursor = $this->database()->table(self::TABLE)->where('name', $this->name())
                ->lock('for update skip locked')->value('position');
            if ($cursor === null) {
                return 0;
            }
            $events = $this->client->eventsAfter((int) $cursor, (int) $this->config->get('stockade.events.batch', 100));
            foreach ($events as $event) {
                foreach (Events::of($event) as $message) {
                    $this->dispatcher->dispatch($message);
                }
                $cursor = $event->cursor;
            }
            if ($events !== []) {
                $this->moveTo((int) $cursor);
            }
            return count($events);
        });
    }

    /** How far it has come: the cursor of the last event that it dispatched. */
    public function position(): int
    {
        return (int) $this->database()->table(self::TABLE)->where('name', $this->name())->value('position');
    }

    /** Goes on after this cursor: 0 dispatches all events again. */
    public function moveTo(int $cursor): void
    {
        $this->database()->table(self::TABLE)->updateOrInsert(['name' => $this->name()], ['position' => $cursor]);
    }

    private function database(): ConnectionInterface
    {
        return $this->databases->connection($this->config->get('stockade.events.connection'));
    }

    private function name(): string
    {
        return (string) $this->config->get('stockade.events.cursor', 'laravel');
    }
}
