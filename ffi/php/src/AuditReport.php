<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * Whether every unit is where the books say it is.
 */
final class AuditReport
{
    /**
     * @param bool $consistent whether nothing was found wrong
     * @param int $products products looked at
     * @param int $received units ever received, less those written off
     * @param int $stock units that can be held
     * @param int $held units in active holds
     * @param int $pending units in unpaid orders
     * @param int $sold units in paid orders
     * @param int $waitingEvents payment events that wait for their order; no fault by itself
     * @param ?DateTimeImmutable $oldestWaitingEvent when the oldest of them came; UTC
     * @param int $productsDue products with due holds or orders not taken back yet; no fault
     * @param list<Finding> $findings what is wrong and where
     */
    public function __construct(
        public readonly bool $consistent,
        public readonly int $products,
        public readonly int $received,
        public readonly int $stock,
        public readonly int $held,
        public readonly int $pending,
        public readonly int $sold,
        public readonly int $waitingEvents,
        public readonly ?DateTimeImmutable $oldestWaitingEvent,
        public readonly int $productsDue,
        public readonly array $findings,
    ) {
    }
}
