<?php

declare(strict_types=1);

namespace Stockade\Laravel\Console;

use Illuminate\Console\Command;
use Stockade\Laravel\EventRelay;
use Stockade\Laravel\Jobs\RelayEvents;

/** Dispatches events here or by the queue, and moves the cursor. */
final class EventsCommand extends Command
{
    protected $signature = 'stockade:events
        {--queue : Let the job on the queue do it}
        {--follow : Go on until stopped}
        {--every=1 : With --follow, the seconds between two looks}
        {--from= : First move the cursor: 0 dispatches all events again, an event\'s cursor those after it}';
    protected $description = 'Dispatch the events of the outbox that are due as Laravel events';

    public function handle(EventRelay $relay): int
    {
        $from = $this->option('from');
        if ($from !== null) {
            if (!ctype_digit($from)) {
                $this->error("--from={$from} is not a cursor");
                return self::INVALID;
            }
            $relay->moveTo((int) $from);
        }
        if ($this->option('queue')) {
            RelayEvents::dispatch();
            return self::SUCCESS;
        }
        $isStopped = false;
        $this->trap([SIGINT, SIGTERM], static function () use (&$isStopped): void {
            $isStopped = true;
        });
        $total = 0;
        do {
            $count = $relay->next();
            $total += $count;
            if ($count === 0 && $this->option('follow') && !$isStopped) {
                usleep((int) (max(0.05, (float) $this->option('every')) * 1e6));
            }
        } while (!$isStopped && ($count > 0 || $this->option('follow')));
        $this->line("{$total} events dispatched, the cursor is {$relay->position()}");
        return self::SUCCESS;
    }
}
