<?php

declare(strict_types=1);

namespace Stockade;

/**
 * One page of holds, by ascending id.
 */
final class HoldPage
{
    /**
     * @param list<Hold> $items the holds of this page, which may have fewer than the limit, or none
     * @param ?int $next $after of the next page; null on the last page
     */
    public function __construct(
        public readonly array $items,
        public readonly ?int $next,
    ) {
    }
}
