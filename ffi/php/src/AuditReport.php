<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * The report of an audit of all stock.
 */
final class AuditReport
{
    /**
     * @param bool $consistent whether the audit found no fault
     * @param int $products products audited
     * @param int $received units received, less units written off
     * @param int $stock units available to hold
     * @param int $held units in active holds
     * @param int $pending units in unpaid orders
     * @param int $sold units in paid orders, less those refunded
     * @param int $waitingEvents payment events waiting for their order; not a fault by itself
     * @param ?DateTimeImmutable $oldestWaitingEvent when the oldest of them arrived; UTC
     * @param int $productsDue products with due holds or orders that no sweep has processed yet; not a fault
     * @param list<Finding> $findings the faults found
     * @param int $returned units refunded and not for sale again
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
        public readonly int $returned,
    ) {
    }
}
