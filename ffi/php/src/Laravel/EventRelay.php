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
        return $this->database()->transaction(function (): int {
            $cursor = $this->lock();
            if ($cursor === null) {
                return 0;
            }
            $events = $this->client->eventsAfter($cursor, (int) $this->config->get('stockade.events.batch', 100));
            foreach ($events as $event) {
                foreach (Events::of($event) as $message) {
                    $this->dispatcher->dispatch($message);
                }
                $cursor = $event->cursor;
            }
            if ($events !== []) {
                $this->moveTo($cursor);
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

    /**
     * Locks the cursor's row, which the first relay makes.
     *
     * @return ?int its position; null while another relay has it: a queue worker has better to do than to wait
     */
    private function lock(): ?int
    {
        $row = $this->database()->table(self::TABLE)->where('name', $this->name());
        $cursor = (clone $row)->lock('for update skip locked')->value('position');
        if ($cursor !== null) {
            return (int) $cursor;
        }
        // An insert would wait for the lock of a row that is there.
        $isMade = !$row->exists()
            && $this->database()->table(self::TABLE)->insertOrIgnore(['name' => $this->name(), 'position' => 0]) === 1;
        return $isMade ? 0 : null;
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
