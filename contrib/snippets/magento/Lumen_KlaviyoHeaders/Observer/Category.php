<?php

declare(strict_types=1);

namespace Lumen\KlaviyoHeaders\Observer;

use Magento\Framework\App\Response\Http;
use Magento\Framework\Event\Observer;
use Magento\Framework\Event\ObserverInterface;

/**
 * A category's page says which category it is.
 */
class Category implements ObserverInterface
{
    private Http $response;

    public function __construct(Http $response)
    {
        $this->response = $response;
    }

    public function execute(Observer $observer): void
    {
        $category = $observer->getEvent()->getData('category');

        if ($category) {
            $this->response->setHeader('X-Category-ID',
                (string) $category->getId(), true);
        }
    }
}
