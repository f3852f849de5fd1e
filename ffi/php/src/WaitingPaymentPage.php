<?php

declare(strict_types=1);

namespace Stockade;

/**
 * One page of payment events that wait for their order, the oldest first.
 */
final class WaitingPaymentPage
{
    /**
     * @param list<WaitingPayment> $items the events of this page, which may have fewer than the limit, or none
     * @param ?string $next $after of the next page; null on the last page
     */
    public function __construct(
        public readonly array $items,
        public readonly ?string $next,
    ) {
    }
}
