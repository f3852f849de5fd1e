<?php

declare(strict_types=1);

namespace Stockade;

/**
 * What the erasure of a customer found.
 */
final class Erased
{
    /**
     * @param int $holds the customer's holds that are stored, ended ones included
     * @param int $orders the customer's orders that are stored
     */
    public function __construct(
        public readonly int $holds,
        public readonly int $orders,
    ) {
    }
}
