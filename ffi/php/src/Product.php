<?php

declare(strict_types=1);

namespace Stockade;

/**
 * A product and where its units are: received = stock + held + pending + sold.
 */
final class Product
{
    /**
     * @param int $id the product's id
     * @param string $name what the shop calls it
     * @param string $price the exact price of one unit, such as "19.99" or "200"
     * @param int $priceMinor the price in minor units (hundredths)
     * @param int $stock units that can still be held
     * @param int $held units in active holds
     * @param int $pending units in orders that wait for their payment
     * @param int $sold units in paid orders
     * @param int $version raised by one at each committed change of stock
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
