<?php

declare(strict_types=1);

namespace Stockade\Laravel\Jobs;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldBeUniqueUntilProcessing;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;
use Stockade\Exception\StockadeException;
use Stockade\Laravel\EventRelay;

/**
 * Dispatches the events that are due, by {@see EventRelay}. One waits in the queue at a
 * time, however often it is dispatched; one that is dispatched while another runs comes
 * after it, so that no event is missed.
 */
final class RelayEvents implements ShouldQueue, ShouldBeUniqueUntilProcessing
{
    use Dispatchable;
    use InteractsWithQueue;
    use Queueable;

    /** After so many batches it makes room for other jobs of the queue. */
    private const BATCHES_MAX = 50;

    public int $tries = 5;
    /** Seconds after which one that was lost no longer stands in the way of the next. */
    public int $uniqueFor = 60;

    public function __construct()
    {
        $this->onQueue(config('stockade.events.queue'));
    }

    /** @return list<int> */
    public function backoff(): array
    {
        return [1, 5, 15, 60];
    }

    /** @throws StockadeException unavailable */
    public function handle(EventRelay $relay): void
    {
        for ($batch = 0; $batch < self::BATCHES_MAX; $batch++) {
            if ($relay->next() === 0) {
                return;
            }
        }
        self::dispatch();
    }
}
