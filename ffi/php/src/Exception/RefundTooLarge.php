<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * More money or more units than are left to refund.
 */
final class RefundTooLarge extends StockadeException
{
}
