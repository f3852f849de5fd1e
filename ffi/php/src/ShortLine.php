<?php

declare(strict_types=1);

namespace Stockade;

/**
 * One line of a request that exceeds the available stock.
 */
final class ShortLine
{
    /**
     * @param int $productId the product
     * @param int $requested units requested, summed over the request
     * @param int $available units available to hold
     * @param ?string $sku the product's SKU
     */
    public function __construct(
        public readonly int $productId,
        public readonly int $requested,
        public readonly int $available,
        public readonly ?string $sku = null,
    ) {
    }
}
