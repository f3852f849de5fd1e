<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * A fault of Stockade or of its store's content; nothing changed.
 */
final class Internal extends StockadeException
{
}
