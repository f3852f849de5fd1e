<?php

declare(strict_types=1);

namespace Stockade;

/**
 * One page of orders, by ascending id.
 */
final class OrderPage
{
    /**
     * @param list<Order> $items the orders of this page, which may have fewer than the limit, or none
     * @param ?int $next $after of the next page; null on the last page
     */
    public function __construct(
        public readonly array $items,
        public readonly ?int $next,
    ) {
    }
}
