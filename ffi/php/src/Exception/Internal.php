<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * A bug of Stockade or corrupt data in its store; nothing changed.
 */
final class Internal extends StockadeException
{
}
