<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The order is paid, so that it can only be refunded.
 */
final class AlreadyPaid extends StockadeException
{
}
