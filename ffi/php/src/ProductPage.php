<?php

declare(strict_types=1);

namespace Stockade;

/**
 * One page of products, by ascending id.
 */
final class ProductPage
{
    /**
     * @param list<Product> $items the products of this page
     * @param ?int $next $after of the next page; null on the last page
     */
    public function __construct(
        public readonly array $items,
        public readonly ?int $next,
    ) {
    }
}
