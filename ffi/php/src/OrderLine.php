<?php

declare(strict_types=1);

namespace Stockade;

/**
 * One line of an order: a hold that became part of it.
 */
final class OrderLine
{
    /**
     * @param int $line the number within the order, from 1
     * @param int $holdId the hold it was made from
     * @param int $productId the product
     * @param ?string $sku the product's SKU
     * @param int $quantity units ordered
     * @param string $price the exact unit price when the order was created, such as "19.99"
     * @param int $priceMinor the price in minor units of the order's currency
     * @param int $refunded units refunded, returned and restocked ones included
     * @param int $returned units refunded and not for sale again
     */
    public function __construct(
        public readonly int $line,
        public readonly int $holdId,
        public readonly int $productId,
        public readonly ?string $sku,
        public readonly int $quantity,
        public readonly string $price,
        public readonly int $priceMinor,
        public readonly int $refunded,
        public readonly int $returned,
    ) {
    }
}
