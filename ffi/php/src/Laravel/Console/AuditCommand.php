<?php

declare(strict_types=1);

namespace Stockade\Laravel\Console;

use Illuminate\Console\Command;
use Stockade\Client;

/** Fails if the accounting of stock is not consistent. */
final class AuditCommand extends Command
{
    protected $signature = 'stockade:audit';
    protected $description = 'Recount every product and check the stock accounting';

    public function handle(Client $client): int
    {
        $report = $client->audit();
        $this->table(['products', 'received', 'stock', 'held', 'pending', 'sold', 'returned'], [[
            $report->products,
            $report->received,
            $report->stock,
            $report->held,
            $report->pending,
            $report->sold,
            $report->returned,
        ]]);
        foreach ($report->findings as $finding) {
            $this->error("{$finding->check}: {$finding->detail}");
        }
        if ($report->waitingEvents > 0) {
            $this->line("{$report->waitingEvents} payment events wait for their order");
        }
        $this->line($report->consistent ? 'consistent' : 'not consistent');
        return $report->consistent ? self::SUCCESS : self::FAILURE;
    }
}
