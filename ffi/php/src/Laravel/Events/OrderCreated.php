<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** Holds became an order, which waits for its payment. */
final class OrderCreated extends Message
{
}
