<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** Goods were received, written off or counted. */
final class StockAdjusted extends Message
{
}
