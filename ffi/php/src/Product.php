<?php

declare(strict_types=1);

namespace Stockade;

/**
 * A product and its stock accounting: received = stock + held + pending + sold.
 */
final class Product
{
    /**
     * @param int $id the product's id
     * @param string $name the name
     * @param string $price the exact unit price, such as "19.99" or "200"
     * @param int $priceMinor the price in minor units (hundredths)
     * @param int $stock units available to hold
     * @param int $held units in active holds
     * @param int $pending units in unpaid orders
     * @param int $sold units in paid orders
     * @param int $version incremented by every committed change of stock
     */
    public function __construct(
        public readonly int $id,
        public readonly string $name,
        public readonly string $price,
        public readonly int $priceMinor,
        public readonly int $stock,
        public readonly int $held,
        public readonly int $pending,
        public readonly int $sold,
        public readonly int $version,
    ) {
    }
}
