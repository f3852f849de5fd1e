<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The order was never paid, so that nothing can be refunded.
 */
final class NotPaid extends StockadeException
{
}
